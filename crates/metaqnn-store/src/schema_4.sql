-- From schema 3 to 4: the plan of what is trained fully. The statement is that of schema.sql.

-- Which networks are trained fully, and for how long: stored before anything is trained, so that a later run keeps to it.
CREATE TABLE final_plan (
    trial            INTEGER PRIMARY KEY REFERENCES trial,
    place            INTEGER NOT NULL,    -- from 1, in the order of the training
    candidate_epochs INTEGER NOT NULL,    -- on the training images alone; 0: the trial's validation is enough
    final_epochs     INTEGER NOT NULL     -- on training and validation images
) STRICT;
