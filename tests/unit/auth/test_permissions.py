"""Rules as configured → the core's table."""

import pytest

from keelback.auth.permissions import PermissionRulesError, PermissionTable, compile_permissions
from keelback.auth.users import PermissionRules, ResponseRule

pytestmark = pytest.mark.usefixtures("core")


def test_without_lists_all_is_allowed() -> None:
    compiled = compile_permissions(PermissionRules())
    assert compiled.publish_allow is None
    assert compiled.subscribe_allow is None
    assert compiled.responses is None


def test_an_empty_list_allows_nothing() -> None:
    compiled = compile_permissions(PermissionRules(publish_allow=(), subscribe_allow=[]))
    assert compiled.publish_allow == []
    assert compiled.subscribe_allow == []


def test_a_queue_stands_behind_its_subject() -> None:
    rules = PermissionRules(subscribe_allow=("a.>", "b.* v1.*"), subscribe_deny=("c q",))
    compiled = compile_permissions(rules)
    assert compiled.subscribe_allow == [("a.>", None), ("b.*", "v1.*")]
    assert compiled.subscribe_deny == [("c", "q")]


def test_whoever_may_only_respond_may_publish_nothing_else() -> None:
    compiled = compile_permissions(PermissionRules(responses=ResponseRule()))
    assert compiled.publish_allow == []
    assert compiled.responses == (1, 120.0)


def test_responses_keep_an_allow_list_and_have_no_limit_below_zero() -> None:
    rule = ResponseRule(max_messages=-1, expires_s=-1.0)
    compiled = compile_permissions(PermissionRules(publish_allow=("a",), responses=rule))
    assert compiled.publish_allow == ["a"]
    assert compiled.responses == (-1, -1.0)


@pytest.mark.parametrize(
    "rules",
    [
        PermissionRules(publish_allow=("a..b",)),
        PermissionRules(publish_deny=("a q",)),
        PermissionRules(publish_allow=("",)),
        PermissionRules(subscribe_allow=("a.>.b",)),
        PermissionRules(subscribe_deny=("a b c",)),
        PermissionRules(subscribe_allow=("a q..r",)),
    ],
)
def test_an_invalid_subject_is_named(rules: PermissionRules) -> None:
    with pytest.raises(PermissionRulesError, match=r'^(subject|queue) ".*" is not a valid'):
        compile_permissions(rules)


def test_equal_rules_share_a_handle() -> None:
    table = PermissionTable()
    first = table.get(PermissionRules(publish_allow=("a",)))
    assert table.get(PermissionRules(publish_allow=["a"])) is first
    assert table.get(PermissionRules(publish_allow=("b",))) is not first
    assert table.get(None) is None
