"""One job from files to files: what a verb of the command line, a cohort and a repetition share.

Nothing is imported here, so that `runs.reference` does not wait for torch.
"""
