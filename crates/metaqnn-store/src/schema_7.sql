-- From schema 6 to 7: whether images may be mirrored, of data of which nobody has said so. The statement that creates is that of schema.sql.

CREATE TEMP TABLE candidate_before AS SELECT * FROM main.candidate;
DROP TABLE main.candidate;
CREATE TABLE candidate (
    trial          INTEGER PRIMARY KEY REFERENCES trial,
    valid_accuracy ANY CHECK (typeof(valid_accuracy) IN ('real', 'null')),     -- NULL: the training failed
    epochs         INTEGER NOT NULL,
    train_seconds  ANY NOT NULL CHECK (typeof(train_seconds) = 'real'),
    mirror_is_safe INTEGER CHECK (mirror_is_safe IN (0, 1))    -- by what it made of mirrored images; NULL: it was not asked
) STRICT;
INSERT INTO candidate (trial, valid_accuracy, epochs, train_seconds)
SELECT trial, valid_accuracy, epochs, train_seconds FROM candidate_before;
DROP TABLE candidate_before;
