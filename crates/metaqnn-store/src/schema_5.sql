-- From schema 4 to 5: ensembles, and what they are chosen by. The statements are those of schema.sql.

-- Class probabilities of the validation images by candidates, after their last step: what an ensemble is chosen by.
CREATE TABLE validation (
    trial         INTEGER PRIMARY KEY REFERENCES candidate,
    probabilities BLOB NOT NULL         -- images x classes, 32-bit floats, little-endian
) STRICT;

-- The ensemble of networks that were trained finally, measured on the test data; at most one row.
CREATE TABLE ensemble (
    ensemble       INTEGER PRIMARY KEY CHECK (ensemble = 1),
    valid_accuracy ANY CHECK (typeof(valid_accuracy) IN ('real', 'null')),     -- NULL: not chosen on validation data
    test_accuracy  ANY NOT NULL CHECK (typeof(test_accuracy) = 'real'),
    test_images    INTEGER NOT NULL
) STRICT;

-- Its members.
CREATE TABLE ensemble_member (
    place INTEGER PRIMARY KEY,          -- from 1, best validation accuracy first
    trial INTEGER NOT NULL UNIQUE REFERENCES final
) STRICT;
