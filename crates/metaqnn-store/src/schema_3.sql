-- From schema 2 to 3: candidates for the final training. The statement is that of schema.sql.

-- Candidates for the final training, trained longer than their trials were and validated.
CREATE TABLE candidate (
    trial          INTEGER PRIMARY KEY REFERENCES trial,
    valid_accuracy ANY CHECK (typeof(valid_accuracy) IN ('real', 'null')),     -- NULL: the training failed
    epochs         INTEGER NOT NULL,
    train_seconds  ANY NOT NULL CHECK (typeof(train_seconds) = 'real')
) STRICT;
