"""What ganvas does, one verb a file: typed values in, a result object out, `Progress` on the way.

A verb is called as a function, `ganvas.walk(run, seeds="0,7,42")`, or followed step by step,
`for progress in ganvas.walk.steps(run, seeds="0,7,42")`. It prints nothing and knows nothing of terminals and pages.
The command line reads the declaration of a verb from its file (`verb.declaration`), so that help needs no torch.
"""
