"""From a file or an array to landmarks: intake, detector, crops, networks, landmarker."""
