"""Properties of test cases in JUnit XML: peak, allocated bytes, limits and verdicts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import pytest
from _pytest.junitxml import xml_key  # pytest has no public way to its report

if TYPE_CHECKING:
    from memlens.store.records import TestRecord

_PREFIX = "memlens_"


def set_properties(item: pytest.Item, record: TestRecord) -> None:
    """Give the test its properties for reports, in place of those of an earlier attempt."""
    item.user_properties[:] = [
        *(known for known in item.user_properties if not known[0].startswith(_PREFIX)),
        *_properties(record),
    ]


class JUnitProperties:
    """Adds the properties of tests whose results come only after pytest is done with the test."""

    def __init__(self, config: pytest.Config) -> None:
        """Find pytest's JUnit XML, if one is to be written, when it is needed."""
        self._config = config
        #: pytest's reporters of the tests that wait, by node id and pytest-xdist worker.
        self._reporters: dict[tuple[str, str | None], Any] = {}

    def expect(self, report: pytest.TestReport) -> None:
        """Note a test whose teardown is being reported, before pytest takes that report."""
        xml: Any = self._config.stash.get(xml_key, None)
        if xml is None or any(name.startswith(_PREFIX) for name, _ in report.user_properties):
            return
        node = getattr(report, "node", None)
        worker = node.gateway.id if node is not None else None
        self._reporters[report.nodeid, worker] = xml.node_reporter(report)

    def add(self, record: TestRecord, worker: str | None) -> None:
        """Add what *record* says to its test."""
        reporter = self._reporters.pop((record.nodeid, worker), None)
        if reporter is None:
            return
        if "to_xml" not in vars(reporter):  # pytest has not finished it yet
            for name, value in _properties(record):
                reporter.add_property(name, str(value))
            return
        case = reporter.to_xml()
        properties = case.find("properties")
        if properties is None:
            properties = ET.Element("properties")
            case.insert(0, properties)
        for name, value in _properties(record):
            ET.SubElement(properties, "property", name=name, value=str(value))


def _properties(record: TestRecord) -> list[tuple[str, object]]:
    properties: list[tuple[str, object]] = []
    phase = record.phase("call")
    if phase is not None:
        properties += [("peak_bytes", phase.peak_bytes), ("allocated_bytes", phase.allocated_bytes)]
    for check in record.checks:
        properties += [
            (f"{check.marker}_limit_bytes", check.limit_bytes),
            (f"{check.marker}_measured_bytes", check.measured_bytes),
            (f"{check.marker}_verdict", check.verdict),
        ]
    return [(f"{_PREFIX}{name}", value) for name, value in properties]
