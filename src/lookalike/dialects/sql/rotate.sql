-- Rotating a query and rounding it to bit planes: parts of lookalike's procedures. See
-- lookalike.index.rotation and lookalike.index.codes.

DROP PROCEDURE IF EXISTS lookalike__rotate //

CREATE PROCEDURE lookalike__rotate(IN length DOUBLE)
    READS SQL DATA SQL SECURITY INVOKER
    COMMENT 'lookalike: rotate and round the query'
BEGIN
    DECLARE places LONGTEXT DEFAULT lookalike__places();
    DECLARE rotated LONGBLOB;
    IF @lookalike_native THEN
        SET rotated = lookalike_native_rotate(@lookalike_query, lookalike__signs(places)),
            @lookalike_step = lookalike_native_step(rotated, {{n_planes}}) / length,
            @lookalike_planes = lookalike_native_planes(rotated, {{n_planes}}),
            {{native_planes}};
    ELSE
        CALL lookalike__rotate_in_sql(places, length);
    END IF;
END //

DROP PROCEDURE IF EXISTS lookalike__rotate_in_sql //

-- Divides the query by a length, rotates it, and rounds it to bit planes @lookalike_p0 and on: a
-- number is about @lookalike_step * (level - {{middle}}).
CREATE PROCEDURE lookalike__rotate_in_sql(IN places LONGTEXT, IN length DOUBLE)
    READS SQL DATA SQL SECURITY INVOKER
    COMMENT 'lookalike: rotate and round the query without native functions'
BEGIN
    DECLARE n_rows INT DEFAULT CEIL(@lookalike_dim / {{width}});
    DECLARE is_power BOOLEAN DEFAULT BIT_COUNT(n_rows) = 1;
    DECLARE signs LONGBLOB DEFAULT lookalike__signs(places);
{{rotation}}    ), sized AS (
        SELECT *, GREATEST(MAX({{largest}}) OVER () / {{middle}}, 1e-300) AS step FROM turned
    ), rounded AS (
        SELECT n, step, {{levels}} FROM sized
    )
    SELECT MAX(step) / SQRT({{width}} * n_rows) / length, {{planes}}
        INTO @lookalike_step, {{plane_variables}}
        FROM rounded;
END //

DROP FUNCTION IF EXISTS lookalike__places //

CREATE FUNCTION lookalike__places() RETURNS LONGTEXT
    NOT DETERMINISTIC NO SQL SQL SECURITY INVOKER
    COMMENT 'lookalike: a JSON array with an item for each row of a rotation'
RETURN CONCAT('[0', REPEAT(',0', CEIL(@lookalike_dim / {{width}}) - 1), ']') //

DROP FUNCTION IF EXISTS lookalike__signs //

-- A bit for each number, 1 where its sign is flipped. places: a JSON array with an item for each 32.
CREATE FUNCTION lookalike__signs(places LONGTEXT) RETURNS LONGBLOB
    NOT DETERMINISTIC NO SQL SQL SECURITY INVOKER
    COMMENT 'lookalike: the signs of a rotation'
RETURN (
    SELECT UNHEX(GROUP_CONCAT(LEFT(SHA2(CONCAT(@lookalike_seed, ':', n - 1), 256), 8)
                              ORDER BY n SEPARATOR ''))
    FROM JSON_TABLE(places, '$[*]' COLUMNS (n FOR ORDINALITY)) AS line
) //
