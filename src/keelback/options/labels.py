"""What operators write about a server, for monitoring to show: tags, metadata, feature flags."""

from __future__ import annotations

from keelback.config.gotext import quote
from keelback.config.tree import Value, go_type
from keelback.errors import ConfigError
from keelback.options.fields import Block, Reload, option, options
from keelback.options.kinds import FLAG, TEXT, Kind, text_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from keelback.options.report import Report


class Tags(Kind):
    """A tag, or a list of them; in lower case and once each when read, as nats-server has them."""

    def read(self, key: str, value: Value, report: Report) -> tuple[str, ...]:  # noqa: ARG002
        """Read the tags."""
        if isinstance(value.data, str):
            items = [value]
        elif isinstance(value.data, list):
            items = value.data
        else:
            problem = f"error parsing tags: unsupported type {go_type(value.data)}"
            raise ConfigError(value.place, problem, hint='write `server_tags: ["zone:east"]`')
        for item in items:
            if not isinstance(item.data, str):
                # nats-server names the type of its own wrapper here.
                problem = (
                    "error parsing tags: unsupported type *conf.token where string is expected"
                )
                raise ConfigError(value.place, problem, hint="quote the tag")
        tags = (text_of(item).strip().lower() for item in items)
        return tuple(dict.fromkeys(tag for tag in tags if tag))

    def show(self, value: object) -> str:
        """Tags with commas between."""
        return ", ".join(map(str, value)) if isinstance(value, tuple) else ""  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]


class Texts(Kind):
    """A map of strings."""

    def read(self, key: str, value: Value, report: Report) -> dict[str, str]:
        """Read the map."""
        if not isinstance(value.data, dict):
            problem = f"error parsing metadata: unsupported type {go_type(value.data)}"
            raise ConfigError(value.place, problem, hint="write `{ zone: east }`")
        return {
            text_of(Value(name, item.place)): TEXT.read(key, item, report)
            for name, item in value.data.items()
        }

    def show(self, value: object) -> str:
        """Nothing: there is no default."""
        return str(value) if value else ""


class Switches(Kind):
    """A map of booleans."""

    def read(self, key: str, value: Value, report: Report) -> dict[str, bool]:  # noqa: ARG002
        """Read the map."""
        if not isinstance(value.data, dict):
            problem = f"error parsing feature flags: unsupported type {go_type(value.data)}"
            raise ConfigError(value.place, problem, hint="write `{ name: true }`")
        found: dict[str, bool] = {}
        for name, item in value.data.items():
            if not isinstance(item.data, bool):
                kind = go_type(item.data)
                problem = f"error parsing feature flag {quote(name)}: expected bool, got {kind}"
                raise ConfigError(item.place, problem, hint=f"give {FLAG.name}")
            found[text_of(Value(name, item.place))] = item.data
        return found

    def show(self, value: object) -> str:
        """Nothing: there is no default."""
        return str(value) if value else ""


@options("")
class LabelOptions(Block):
    """What monitoring and the log say of this server beside its name."""

    server_tags: tuple[str, ...] = option(
        Tags("a string or a list of strings", '["zone:east"]'),
        default=(),
        reload=Reload.LIVE,
        help="Tags of this server; case does not matter.",
    )
    server_metadata: dict[str, str] = option(
        Texts("a map of strings", "{ zone: east }"),
        default={},
        reload=Reload.LIVE,
        help="Names and values that describe this server.",
    )
    feature_flags: dict[str, bool] = option(
        Switches("a map of booleans", "{ js_ack_fc_v2: true }"),
        default={},
        help="Switches of nats-server's JetStream; they are shown, and change nothing here yet.",
    )
