"""`python -m stunet_perfusion` is the command `stunet-perfusion`."""

import sys

from stunet_perfusion.cli import main

sys.exit(main())
