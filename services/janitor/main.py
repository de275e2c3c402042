"""The janitor: lost messages, dead letters, what has expired, and the measures of the queues."""

from libs.common.runtime.service import run_tasks
from services.janitor.canary import send_canaries
from services.janitor.dlq_service import serve_dead_letters
from services.janitor.old_uploads import sweep_old_uploads
from services.janitor.orphans import sweep_storage
from services.janitor.queues import measure_jobs, measure_queues
from services.janitor.reconciler import reconcile
from services.janitor.retention import retire
from services.janitor.settings import JanitorSettings
from services.janitor.source_cache import evict_sources
from services.janitor.unadvised import rescue_given_up
from services.janitor.upload_sweep import sweep_uploads

TASKS = (
    reconcile,
    serve_dead_letters,
    rescue_given_up,
    retire,
    evict_sources,
    sweep_uploads,
    sweep_old_uploads,
    sweep_storage,
    measure_queues,
    measure_jobs,
    send_canaries,
)


def main() -> None:
    run_tasks("janitor", TASKS, JanitorSettings)
