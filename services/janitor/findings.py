"""What a look at the storage finds, as one value each: logged by the janitor, printed by verify_storage_command.py. Pure."""

from collections.abc import Callable
from typing import Literal
from uuid import UUID

import msgspec

Kind = Literal["result", "source"]


class Finding(msgspec.Struct, frozen=True, kw_only=True, tag_field="found", rename="camel"):
    pass


class Orphan(Finding, frozen=True, kw_only=True, tag="orphan"):
    """Objects in the folder of a job that is unknown or expired; of a large folder those of one page."""

    kind: Kind
    job_id: UUID
    objects: int
    size: int
    """Bytes."""
    removed: bool


class Foreign(Finding, frozen=True, kw_only=True, tag="foreign"):
    """An object that is not of our making. It is left alone."""

    kind: Kind
    key: str


class Missing(Finding, frozen=True, kw_only=True, tag="missing"):
    """A job that is done names objects that S3 does not have."""

    job_id: UUID
    keys: tuple[str, ...]
    remedy: str
    outcome: Literal["repaired", "lost"]
    repaired: bool
    """Whether it was done about it what `remedy` says."""


class Doubt(Finding, frozen=True, kw_only=True, tag="doubt"):
    """The bucket has no file of any job that the database knows: it may be another one's, and nothing of it is removed."""

    kind: Kind
    bucket: str


class Seen(msgspec.Struct, kw_only=True, rename="camel"):
    """A whole look in numbers; all but `jobs` and `repaired` count objects."""

    objects: int = 0
    jobs: int = 0
    """Jobs that are done and were looked at."""
    orphans: int = 0
    orphan_bytes: int = 0
    removed: int = 0
    foreign: int = 0
    missing: int = 0
    repaired: int = 0
    """Jobs."""

    @property
    def is_well(self) -> bool:
        """Nothing was found, or all of it was dealt with."""
        return self.orphans == self.removed and not self.unrepaired

    unrepaired: int = 0
    """Jobs."""

    def count(self, finding: Finding) -> None:
        match finding:
            case Orphan(objects=objects, size=size, removed=removed):
                self.orphans += objects
                self.orphan_bytes += size
                self.removed += objects if removed else 0
            case Foreign():
                self.foreign += 1
            case Missing(keys=keys, repaired=repaired):
                self.missing += len(keys)
                self.repaired += repaired
                self.unrepaired += not repaired


Tell = Callable[[Finding], None]


def words(finding: Finding) -> str:
    """One line for a person."""
    match finding:
        case Orphan(kind=kind, job_id=job_id, objects=objects, size=size, removed=removed):
            return f"orphan   {kind} {job_id}: {objects} objects, {size} bytes, {'removed' if removed else 'of no living job'}"
        case Foreign(key=key):
            return f"foreign  {_plain(key)}: not ours, left alone"
        case Missing(job_id=job_id, keys=keys, remedy=remedy, repaired=repaired):
            names = ", ".join(key.rpartition("/")[2] for key in keys)
            return f"missing  {job_id}: {names}; {remedy}{'' if repaired else ' when it is repaired'}"
        case Doubt(kind=kind, bucket=bucket):
            return (
                f"doubt    {bucket} has no {kind} of any finished job that the database knows, so nothing is removed from it; "
                f"check S3_{kind.upper()}S_BUCKET and DATABASE_URL"
            )
    return str(finding)


def _plain(key: str) -> str:
    """In one line that no terminal takes for an order."""
    return "".join(each if each.isprintable() else "?" for each in key[:512])
