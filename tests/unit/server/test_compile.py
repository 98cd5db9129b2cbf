"""Options as typed → settings, through the real options."""

from keelback.options import ServerOptions
from keelback.server.compile import compile_settings
from keelback.server.settings import AccountSettings, ServerSettings

NKEY = "UDXU4RCSJNZOIQHZNWXHXORDPRTGNJAHAHFRGZNEEJCPQTT2M7NLCNF4"


def settings_of(**options: object) -> ServerSettings:
    return compile_settings(ServerOptions.from_mapping(options))


def test_defaults_are_nats_servers() -> None:
    settings = settings_of()
    assert (settings.host, settings.port) == ("0.0.0.0", 4222)
    assert settings.limits.max_payload == 1048576
    assert settings.limits.ping_interval_s == 120.0
    assert settings.lame_duck.duration_s == 120.0
    assert settings.auth_timeout_s == 2.0
    assert not settings.auth.required


def test_a_free_port() -> None:
    assert settings_of(port=-1).port == -1


def test_limits_log_and_files() -> None:
    settings = settings_of(
        max_payload=100,
        no_fast_producer_stall=True,
        debug=True,
        log_file="a.log",
        pid_file="a.pid",
        no_header_support=True,
    )
    assert settings.limits.max_payload == 100
    assert not settings.limits.fast_producer_stall
    assert (settings.log.debug, settings.log.file) == (True, "a.log")
    assert settings.pid_file == "a.pid"
    assert not settings.headers


def test_monitoring() -> None:
    assert not settings_of().monitor.is_on
    monitor = settings_of(
        host="127.0.0.1",
        http_port=-1,
        http_base_path="x//y/../z/",
        monitor_token="secret",
        metrics_subjects_max=3,
    ).monitor
    assert (monitor.host, monitor.http_port, monitor.https_port) == ("127.0.0.1", -1, None)
    assert (monitor.base_path, monitor.root) == ("x//y/../z/", "/x/z")
    assert (monitor.token, monitor.metrics_subjects_max) == ("secret", 3)
    assert monitor.is_on
    assert "secret" not in repr(monitor)
    assert settings_of(http="10.0.0.1:8222").monitor.host == "10.0.0.1"
    assert settings_of().monitor.root == "/"


def test_log_limits_labels_and_accounts() -> None:
    settings = settings_of(
        trace_verbose=True,
        log_format="json",
        log_size_limit=5,
        log_max_num=3,
        remote_syslog="tcp://h:1",
        max_traced_msg_len=-1,
        write_timeout="retry",
        no_sublist_cache=True,
        max_closed_clients=0,
        proxy_protocol=True,
        server_metadata={"a": "b"},
        accounts={"A": {"limits": {"max_subs": 4}}},
    )
    log, limits = settings.log, settings.limits
    assert (log.trace, log.trace_verbose, log.format) == (True, True, "json")
    assert (log.size_limit, log.max_files, log.remote_syslog) == (5, 3, "tcp://h:1")
    assert log.max_traced_msg_len == 0
    assert (limits.write_timeout, limits.sublist_cache) == ("retry", False)
    assert limits.max_closed_clients == 10_000
    assert settings.proxy_protocol
    assert settings.metadata == (("a", "b"),)
    assert settings.accounts == (AccountSettings(name="A", max_subscriptions=4),)


def test_without_a_system_account() -> None:
    assert settings_of().system_account == "$SYS"
    assert settings_of(no_system_account=True).system_account == ""
    named = settings_of(no_system_account=True, system_account="S", accounts={"S": {}})
    assert named.system_account == "S"


def test_users_of_all_accounts_are_in_one_table() -> None:
    auth = settings_of(
        accounts={
            "A": {
                "users": [
                    {
                        "user": "ann",
                        "password": "x",
                        "permissions": {
                            "publish": ["a.>"],
                            "subscribe": {"allow": ["b", "c q"], "deny": "d"},
                            "allow_responses": {"max": 5, "expires": "1m"},
                        },
                        "allowed_connection_types": ["standard"],
                    },
                    {"nkey": NKEY},
                ]
            },
            "B": {"users": [{"user": "bob", "password": "y"}]},
            "C": {},
        },
        no_auth_user="bob",
    ).auth
    ann, bob = auth.users or ()
    assert (ann.account, bob.account) == ("A", "B")
    assert ann.connection_types == {"STANDARD"}
    assert ann.permissions is not None
    assert ann.permissions.publish_allow == ("a.>",)
    assert ann.permissions.subscribe_allow == ("b", "c q")
    assert ann.permissions.subscribe_deny == ("d",)
    assert ann.permissions.responses is not None
    assert ann.permissions.responses.max_messages == 5
    assert ann.permissions.responses.expires_s == 60.0
    assert [(key.nkey, key.account) for key in auth.nkeys or ()] == [(NKEY, "A")]
    assert auth.no_auth_user == "bob"
    assert {"A", "B", "C"} <= auth.accounts


def test_single_credentials() -> None:
    auth = settings_of(authorization={"user": "u", "password": "p", "timeout": 3}).auth
    assert (auth.user, auth.password, auth.timeout_s) == ("u", "p", 3.0)
    assert settings_of(authorization={"token": "t"}).auth.token == "t"
