"""Measures what a deployed model costs."""
