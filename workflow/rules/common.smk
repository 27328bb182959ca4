# What every rule refers to: the study as configured, and what jobs may take of the machine.
from snakemake.exceptions import WorkflowError

from nestde.errors import NestdeError
from nestde.provenance.manifest import made_with
from nestde.run.rules import WorkflowStudy, by_input, near

# Of nestde, Python and all that computes: what another version made is made again.
VERSION = made_with()

try:
    STUDY = WorkflowStudy(config)
except NestdeError as error:
    raise WorkflowError("\n".join(error.faults))
