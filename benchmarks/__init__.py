"""Workloads measured beside the installed peers; see README.md beside this file."""
