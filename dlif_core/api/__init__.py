"""The public API: what ``import dlif_core as dlif`` offers to a notebook.

Every function here takes plain tables and arrays, states or asks for units, and does what a study does: the same
readers, the same care for blood, the same fits. `dlif_core` exports the names; nothing is imported before it is used.
"""
