"""The entry point of the group `verl.plugins`: importing it adds the logger `entropy_viz` to verl.

verl (0.9 and newer) imports it by itself, in the driver and in its workers. For older versions, set
`VERL_USE_EXTERNAL_MODULES=entropy_viz.verl_plugin`.
"""

from __future__ import annotations

from .verl import register

register()
