# What every rule refers to: the study as configured, and what jobs may take of the machine.
from snakemake.exceptions import WorkflowError

from nestde import __version__ as VERSION
from nestde.errors import NestdeError
from nestde.run.rules import WorkflowStudy, by_input, near

try:
    STUDY = WorkflowStudy(config)
except NestdeError as error:
    raise WorkflowError("\n".join(error.faults))
