"""`clipstream keys`: API keys made, listed, revoked, rotated. For operators."""

import click

from clipstream import Clipstream, Key, NewKey
from clipstream.cli.options import connected, examples
from clipstream.cli.terminal import Terminal
from clipstream.cli.words import moment
from clipstream.operating import Scope

SCOPES = click.Choice(["jobs:read", "jobs:write", "admin"])
ID = click.argument("key_id", metavar="ID")


@click.group("keys", epilog=examples("clipstream keys create acme --scope jobs:write --scope jobs:read", "clipstream keys list"))
def keys_command() -> None:
    """Make, list, revoke and rotate API keys. Wants a key with the scope admin."""


@keys_command.command("list", epilog=examples("clipstream keys list", "clipstream keys list --json | jq -r .id"))
@connected
def list_keys(*, terminal: Terminal, client: Clipstream) -> None:
    """List keys, newest first, revoked ones too; never the keys themselves."""
    keys = client.keys.list()
    if terminal.as_json:
        for key in keys:
            terminal.document(key)
    else:
        terminal.table(("ID", "NAME", "SCOPES", "TENANT", "MADE", "LAST USED", "STATE"), map(_row_of, keys))


def _row_of(key: Key) -> tuple[str, ...]:
    used = moment(key.last_used_at) if key.last_used_at else "never"
    until = f"until {moment(key.expires_at)}" if key.expires_at else "good"
    return key.id, key.name, " ".join(key.scopes), key.tenant, moment(key.created_at), used, "revoked" if key.revoked_at else until


@keys_command.command(
    "create",
    epilog=examples(
        "clipstream keys create acme --scope jobs:write --scope jobs:read > key", "clipstream keys create ci --scope jobs:read --days 30"
    ),
)
@click.argument("name")
@click.option("--scope", "scopes", type=SCOPES, multiple=True, required=True, help="What it may do; repeatable.")
@click.option("--tenant", help="Whose jobs it sees; else its own alone.")
@click.option("--days", type=click.IntRange(1), help="Days until it is good no more; else until it is revoked.")
@connected
def create_key(
    *, terminal: Terminal, client: Clipstream, name: str, scopes: tuple[Scope, ...], tenant: str | None, days: int | None
) -> None:
    """Make a key. It is printed this once: > key keeps it in a file for --key-file."""
    _show_once(terminal, client.keys.create(name, scopes, tenant=tenant, expires_days=days))


@keys_command.command(
    "rotate", epilog=examples("clipstream keys rotate 5f0c2a1e-… > key", "clipstream keys rotate 5f0c2a1e-… --grace-hours 0")
)
@ID
@click.option(
    "--grace-hours", type=click.FloatRange(0, 720), default=24.0, show_default=True, help="The old key is good for so long still."
)
@connected
def rotate_key(*, terminal: Terminal, client: Clipstream, key_id: str, grace_hours: float) -> None:
    """Replace a key by a new one, which is printed this once."""
    _show_once(terminal, client.keys.rotate(key_id, grace_hours=grace_hours))


def _show_once(terminal: Terminal, made: NewKey) -> None:
    if terminal.as_json:
        terminal.document(made)
        return
    terminal.give(made.api_key)
    terminal.say(f"this is the only time that it is shown; its id is {made.key.id}")


@keys_command.command("revoke", epilog=examples("clipstream keys revoke 5f0c2a1e-…"))
@ID
@connected
def revoke_key(*, terminal: Terminal, client: Clipstream, key_id: str) -> None:
    """Make a key good no more, within 10 s."""
    key = client.keys.revoke(key_id)
    if terminal.as_json:
        terminal.document(key)
    else:
        terminal.say(f"{key_id}: revoked")
