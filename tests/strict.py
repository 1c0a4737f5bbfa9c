"""A pytest plugin: in CI a test that did not run is a failure, and what was collected is counted by folder."""

import os
from collections import Counter

import pytest


class Strict:
    def __init__(self) -> None:
        self.not_run: list[str] = []

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        folders = Counter("/".join(item.nodeid.split("::")[0].split("/")[:2]) for item in session.items)
        for folder, count in sorted(folders.items()):
            print(f"collected {count:5d} in {folder}")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.skipped:
            self.not_run.append(f"{report.nodeid} ({'xfail' if hasattr(report, 'wasxfail') else 'skipped'})")

    def pytest_deselected(self, items: list[pytest.Item]) -> None:
        self.not_run.extend(f"{item.nodeid} (deselected)" for item in items)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        if self.not_run and exitstatus == 0:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        for line in self.not_run:
            terminalreporter.write_line(f"did not run, which counts as failed in CI: {line}", red=True)


def pytest_configure(config: pytest.Config) -> None:
    if os.environ.get("CI"):
        config.pluginmanager.register(Strict(), "strict")
