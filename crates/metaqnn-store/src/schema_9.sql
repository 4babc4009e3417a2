-- From schema 8 to 9: whether images may be turned. The statement that creates is that of schema.sql.

CREATE TEMP TABLE candidate_before AS SELECT * FROM main.candidate;
DROP TABLE main.candidate;
CREATE TABLE candidate (
    trial          INTEGER PRIMARY KEY REFERENCES trial,
    valid_accuracy ANY CHECK (typeof(valid_accuracy) IN ('real', 'null')),     -- NULL: the training failed
    epochs         INTEGER NOT NULL,
    train_seconds  ANY NOT NULL CHECK (typeof(train_seconds) = 'real'),
    mirror_is_safe INTEGER CHECK (mirror_is_safe IN (0, 1)),    -- by what it made of mirrored images; NULL: it was not asked
    turning_is_safe INTEGER CHECK (turning_is_safe IN (0, 1))   -- the same of turned ones
) STRICT;
INSERT INTO candidate (trial, valid_accuracy, epochs, train_seconds, mirror_is_safe)
SELECT trial, valid_accuracy, epochs, train_seconds, mirror_is_safe FROM candidate_before;
DROP TABLE candidate_before;
