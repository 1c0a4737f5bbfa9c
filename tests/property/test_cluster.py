"""The managers' decisions together keep their promises whatever happens; in peace all is well."""

import pytest
from hypothesis import settings

from tests.support.cluster_machine import ClusterMachine

# Only a failure takes long: it is made as small as can be.
pytestmark = pytest.mark.timeout(900)

TestCluster = ClusterMachine.TestCase
TestCluster.settings = settings(max_examples=60, stateful_step_count=40, deadline=None, print_blob=True)
