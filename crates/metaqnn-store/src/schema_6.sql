-- From schema 5 to 6: the balanced accuracy beside the accuracy. The statements that create are those of schema.sql.

CREATE TEMP TABLE final_before AS SELECT * FROM main.final;
DROP TABLE main.final;
CREATE TABLE final (
    trial         INTEGER PRIMARY KEY REFERENCES trial,
    test_accuracy ANY NOT NULL CHECK (typeof(test_accuracy) = 'real'),
    test_balanced_accuracy ANY CHECK (typeof(test_balanced_accuracy) IN ('real', 'null')), -- NULL: measured by an earlier version
    test_images   INTEGER NOT NULL,
    epochs        INTEGER NOT NULL,
    train_seconds ANY NOT NULL CHECK (typeof(train_seconds) = 'real'),
    train_losses  TEXT NOT NULL,        -- JSON, one an epoch; "NaN", "Infinity" and "-Infinity" are texts in it
    weights       BLOB NOT NULL         -- safetensors
) STRICT;
INSERT INTO final (trial, test_accuracy, test_images, epochs, train_seconds, train_losses, weights)
SELECT trial, test_accuracy, test_images, epochs, train_seconds, train_losses, weights FROM final_before;
DROP TABLE final_before;

CREATE TEMP TABLE ensemble_before AS SELECT * FROM main.ensemble;
DROP TABLE main.ensemble;
CREATE TABLE ensemble (
    ensemble       INTEGER PRIMARY KEY CHECK (ensemble = 1),
    valid_accuracy ANY CHECK (typeof(valid_accuracy) IN ('real', 'null')),     -- NULL: not chosen on validation data
    test_accuracy  ANY NOT NULL CHECK (typeof(test_accuracy) = 'real'),
    test_balanced_accuracy ANY CHECK (typeof(test_balanced_accuracy) IN ('real', 'null')), -- NULL: measured by an earlier version
    test_images    INTEGER NOT NULL
) STRICT;
INSERT INTO ensemble (ensemble, valid_accuracy, test_accuracy, test_images)
SELECT ensemble, valid_accuracy, test_accuracy, test_images FROM ensemble_before;
DROP TABLE ensemble_before;
