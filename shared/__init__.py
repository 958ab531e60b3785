"""The words that the function app and the nodes share. Standard library only."""
