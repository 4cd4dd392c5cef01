"""
Locked processes: made, kept ready, watched, ended.

From the edge's side to the inside of a process::

    processes            all of an edge: Processes.take gives a LockedProcess, or says why there is none
      requests, crashes  who waits for one, and how long a version that crashes has to
    maker                makes them: what is ordered of the template, and whether what comes of it is locked
      made               what one has to be before anybody is given it
      users, cgroups     what each has for itself
      templateprocess    the template, as the edge has it
      orders             what edge and template say to each other
      limit              how long that may take
    lockedprocess        one, as the edge has it: frames to it and from it, what it uses, its end
      link, output       the stream to it, and what it prints
      usage, gone        what it has used, and how it has ended
      orphan             one whose template has ended before it
    descriptors          what is read and written: by the reactor, or before that runs

    template             runs in the template: forks, and reaps
      machinecheck       tries in a child what of the lock this machine has

Who ends with whom: a process has the template as its parent, and the template the edge. The kernel ends a child with
its parent (``PR_SET_PDEATHSIG``), so nothing outlives an edge that is killed. The template reaps when the edge lets it,
so that the number of a process of which the edge still speaks is nobody else's.
"""
