"""The commands of ``sluice``, one file each. ``parser`` has their options, ``loading`` reads their configuration."""
