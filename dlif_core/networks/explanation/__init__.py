"""Explanation of a predicted curve: relevance of voxels and frames, occlusion, and checks on known truth."""
