"""`python -m localcloud.batch`"""

import sys

from localcloud.batch.command import main

sys.exit(main())
