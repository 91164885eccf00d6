"""Many pictures on one machine: worker processes, the files of a run, and the contact sheet."""

from faceshape.batch.answer import BatchResult
from faceshape.batch.pool import WorkerError, analyze_many

__all__ = ["BatchResult", "WorkerError", "analyze_many"]
