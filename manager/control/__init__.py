"""What users ask of the cluster: checked, carried out by the leader, and passed on to it by every other manager."""

from manager.control.api import ControlApi, Filters, Rotations
from manager.control.control import Control
from manager.control.counts import TaskCounts
from manager.control.routed import RoutedControl
from manager.control.servicer import ControlServicer

__all__ = ["Control", "ControlApi", "ControlServicer", "Filters", "Rotations", "RoutedControl", "TaskCounts"]
