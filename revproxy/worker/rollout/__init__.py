"""
Versions on trial, in one worker: who meets which, what they do, and what the other one would have done.

- `trials` are all of them; `forkmaker` makes of them the forks of a generation;
- a `judgedlink` is a plugin in the chain of an arm: what it does is written into a `trialbook`, and told each second;
- `takendown`: requests of which it is written down what each plugin was asked, and did;
- `recordings` has them kept; a `shadow` has each version do them again, as a `shadowcopy` that serves nobody, as far as
  a `shadowbudget` allows, and counts in a `pairtally` in what they differ.
"""
