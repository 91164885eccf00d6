"""Faces from frame to frame: the tracker, its smoothing filter, and video files."""
