"""The pictures of the playground, one file each."""
