"""What all tests share."""

from __future__ import annotations

import hypothesis

# Whether something is right does not depend on how long it took: another program may have had the processor.
hypothesis.settings.register_profile(
    "without clocks", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("without clocks")
