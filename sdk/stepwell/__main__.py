"""``python -m stepwell``: the command line."""

import sys

from stepwell.cli.__main__ import main

sys.exit(main())
