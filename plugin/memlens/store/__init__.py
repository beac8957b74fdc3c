"""The results database: what a run measured, for everything that shows it.

`schema.sql` is the contract. Imports neither pytest nor memray, nor anything else of memlens.
"""

from memlens.store.database import DamagedError, NewerSchemaError, ResultsError
from memlens.store.folder import (
    DATABASE_NAME,
    FOLDER_NAME,
    database_path,
    delete_results,
    size_of_results,
)
from memlens.store.reading import PastResult, ResultsReader, SiteRecord, SummaryRecord
from memlens.store.records import (
    CheckRecord,
    FrameKind,
    FrameRecord,
    PhaseRecord,
    RunRecord,
    SourceRecord,
    StackKind,
    StackRecord,
    TestRecord,
    Verdict,
)
from memlens.store.writing import ResultsWriter

__all__ = [
    "DATABASE_NAME",
    "FOLDER_NAME",
    "CheckRecord",
    "DamagedError",
    "FrameKind",
    "FrameRecord",
    "NewerSchemaError",
    "PastResult",
    "PhaseRecord",
    "ResultsError",
    "ResultsReader",
    "ResultsWriter",
    "RunRecord",
    "SiteRecord",
    "SourceRecord",
    "StackKind",
    "StackRecord",
    "SummaryRecord",
    "TestRecord",
    "Verdict",
    "database_path",
    "delete_results",
    "size_of_results",
]
