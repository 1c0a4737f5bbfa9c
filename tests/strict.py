"""A pytest plugin: in CI a test that did not run is a failure, and those that ran are counted by folder."""

import os
from collections import Counter
from typing import Any

import pytest

_NOT_RUN = "not_run"


class Strict:
    """Of a whole run. Its workers, if it has some, tell what only they know."""

    def __init__(self, worker_output: dict[str, Any] | None) -> None:
        self.not_run: list[str] = []
        self.ran: Counter[str] = Counter()
        self._worker_output = worker_output

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.skipped:
            self.not_run.append(f"{report.nodeid} ({'xfail' if hasattr(report, 'wasxfail') else 'skipped'})")
        elif report.when == "call":
            self.ran["/".join(report.nodeid.split("::")[0].split("/")[:2])] += 1

    def pytest_deselected(self, items: list[pytest.Item]) -> None:
        deselected = [f"{item.nodeid} (deselected)" for item in items]
        self.not_run += deselected
        if self._worker_output is not None:
            self._worker_output[_NOT_RUN] = deselected

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        told = getattr(node, "workeroutput", {}).get(_NOT_RUN, [])
        self.not_run += [name for name in told if name not in self.not_run]

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        if self.not_run and exitstatus == 0:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        for folder, count in sorted(self.ran.items()):
            terminalreporter.write_line(f"ran {count:5d} in {folder}")
        for line in self.not_run:
            terminalreporter.write_line(f"did not run, which counts as failed in CI: {line}", red=True)


def pytest_configure(config: pytest.Config) -> None:
    if os.environ.get("CI"):
        config.pluginmanager.register(Strict(getattr(config, "workeroutput", None)), "strict")
