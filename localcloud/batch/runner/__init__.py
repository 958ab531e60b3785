"""Runs command lines as processes of this machine, in the directories and with the variables of a Batch node."""
