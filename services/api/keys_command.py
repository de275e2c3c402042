"""Keys from the command line, for the first one: `python -m services.api.keys_command create --name ops --scope admin | list | revoke ID`.

It reads the API's environment. stdout of `create` is the key and nothing else, once; what there is to say beside it goes to stderr.
"""

import argparse
import asyncio
import sys
from datetime import UTC, datetime
from uuid import UUID

import msgspec

from libs.common.domain.failures import Failure
from libs.common.runtime.postgres import open_pool
from libs.common.runtime.settings import from_environment
from services.api.admin_keys import key_view, wish_in
from services.api.caller import Scope
from services.api.key_store import KeyStore
from services.api.keys import API_SECRET_LENGTH, Pepper
from services.api.settings import ApiSettings

AT_ONCE = 100


def main() -> int:
    options = _parser().parse_args()
    settings = from_environment(ApiSettings)
    if settings.api_secret is None:
        return _say(f"API_SECRET is not set: set the one that the API has, at least {API_SECRET_LENGTH} characters", 1)
    try:
        return asyncio.run(_run(options, settings, Pepper(settings.api_secret)))
    except Failure as failure:
        return _say(failure.message, 1)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="keys_command", description="API keys.")
    commands = parser.add_subparsers(dest="command", required=True)
    create = commands.add_parser("create", help="make a key and print it, once")
    create.add_argument("--name", required=True, help="for people; histories name it")
    create.add_argument("--scope", dest="scopes", action="append", required=True, choices=[scope.value for scope in Scope])
    create.add_argument("--tenant", help="whose jobs it sees; left out: its own alone")
    create.add_argument("--expires-days", type=int, help="left out: until it is revoked")
    commands.add_parser("list", help="one line of JSON a key, newest first")
    commands.add_parser("revoke", help="refused within 10 s everywhere").add_argument("id", type=UUID)
    return parser


async def _run(options: argparse.Namespace, settings: ApiSettings, pepper: Pepper) -> int:
    async with open_pool(settings.database_url.reveal(), connections=1) as pool:
        store = KeyStore(pool, pepper)
        match options.command:
            case "create":
                return await _create(store, options)
            case "list":
                return await _list(store)
            case _:
                return await _revoke(store, options.id)


async def _create(store: KeyStore, options: argparse.Namespace) -> int:
    given = {"name": options.name, "scopes": options.scopes, "tenant": options.tenant, "expiresDays": options.expires_days}
    credentials, key = await store.create(wish_in(msgspec.json.encode(given), datetime.now(UTC)))
    _say(f"key {key.id} of tenant {key.tenant}; this is the only time that it is shown")
    sys.stdout.write(f"{credentials.written.reveal()}\n")
    return 0


async def _list(store: KeyStore) -> int:
    after = None
    while keys := await store.page(AT_ONCE, after):
        sys.stdout.writelines(f"{msgspec.json.encode(key_view(key)).decode()}\n" for key in keys)
        after = keys[-1].id
    return 0


async def _revoke(store: KeyStore, key_id: UUID) -> int:
    if await store.revoke(key_id) is None:
        return _say("there is no such key", 1)
    return _say(f"{key_id} is revoked; every replica refuses it within 10 s", 0)


def _say(text: str, code: int = 0) -> int:
    sys.stderr.write(f"{text}\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
