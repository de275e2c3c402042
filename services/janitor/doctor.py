"""`python -m services.janitor.doctor`: whether the janitor is set up right. It needs nothing that the others do not."""

from libs.common.runtime.doctor.services import Patient, main
from libs.common.runtime.doctor.subjects import LETTERS, WORK
from services.janitor.settings import JanitorSettings

PATIENT = Patient(name="janitor", settings=JanitorSettings, says=WORK | LETTERS)

if __name__ == "__main__":
    main(PATIENT)
