import sys

from kerasseg_command.main import main

sys.exit(main())
