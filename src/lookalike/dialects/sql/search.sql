-- lookalike's searches as stored procedures: for programs in any language, without Python.
--
--   CALL lookalike_search(name, vector, k)                  id, name, similarity; best first
--   CALL lookalike_search_with(name, vector, k, options)    the same with options, as JSON
--   CALL lookalike_similar(name, id, k)                     what is similar to a stored row
--   CALL lookalike_search_into(name, vector, k, options)    fills the temporary table
--   CALL lookalike_similar_into(name, id, k, options)       lookalike_result, and prints nothing
--
-- name: of a collection or an index. vector: the bytes of a VECTOR, or text such as '[1, 2.5]'.
-- Procedures with two underscores are parts of these. They pass values in session variables
-- @lookalike_..., because prepared statements can read no others.
--
-- A search reads the same codes as Python's. It rounds the query to {{n_planes}} bits a number, once
-- for all cells; see lookalike.index.codes.

DROP PROCEDURE IF EXISTS lookalike__open //

CREATE PROCEDURE lookalike__open(IN index_name TEXT)
    READS SQL DATA SQL SECURITY INVOKER
    COMMENT 'lookalike: find an index by name'
BEGIN
    DECLARE message VARCHAR(512);
    DECLARE CONTINUE HANDLER FOR NOT FOUND BEGIN END;
    DECLARE CONTINUE HANDLER FOR 1146 BEGIN END; -- a table that lookalike has not made yet
    SET @lookalike_key = NULL, @lookalike_kept = NULL, @lookalike_metric = 'cosine',
        @lookalike_generation = 0, @lookalike_through = NULL,
        @lookalike_id = 'id', @lookalike_name = 'image_name', @lookalike_vector = 'embedding',
        @lookalike_id_type = NULL, @lookalike_vector_type = NULL,
        @lookalike_schema = DATABASE(), @lookalike_table = index_name;
    SELECT CONCAT('lookalike_', number), schema_name, table_name, id_column, name_column,
           vector_column, metric, kept
        INTO @lookalike_key, @lookalike_schema, @lookalike_table, @lookalike_id, @lookalike_name,
             @lookalike_vector, @lookalike_metric, @lookalike_kept
        FROM lookalike_tables WHERE name = index_name;
    IF @lookalike_key IS NULL THEN
        SET @lookalike_key = index_name;
        SELECT metric INTO @lookalike_metric FROM lookalike_collections WHERE name = index_name;
    END IF;
    SELECT MAX(IF(column_name = @lookalike_id, column_type, NULL)),
           MAX(IF(column_name = @lookalike_vector, column_type, NULL))
        INTO @lookalike_id_type, @lookalike_vector_type
        FROM information_schema.columns
        WHERE table_schema = @lookalike_schema AND table_name = @lookalike_table;
    IF @lookalike_id_type IS NULL OR @lookalike_vector_type NOT LIKE 'vector(%' THEN
        SET message = CONCAT('lookalike: no collection or index is named ',
                             COALESCE(LEFT(index_name, 64), 'NULL'));
        SIGNAL SQLSTATE '42S02' SET MESSAGE_TEXT = message;
    END IF;
    SET @lookalike_dim = SUBSTR(@lookalike_vector_type, 8) + 0;
    SELECT generation, seed, unit, n_probes, probe_gap, rescored, trained_rows, rotation
        INTO @lookalike_generation, @lookalike_seed, @lookalike_unit, @lookalike_n_probes,
             @lookalike_gap, @lookalike_rescored, @lookalike_trained, @lookalike_rotation
        FROM lookalike_indexes WHERE collection = @lookalike_key;
    SELECT indexed_through INTO @lookalike_through
        FROM lookalike_index_tails WHERE collection = @lookalike_key;
    SET @lookalike_rows = CONCAT(lookalike__quoted(@lookalike_schema), '.',
                                 lookalike__quoted(@lookalike_table)),
        @lookalike_id = CONCAT('v.', lookalike__quoted(@lookalike_id)),
        @lookalike_vector = CONCAT('v.', lookalike__quoted(@lookalike_vector)),
        @lookalike_name = COALESCE(CONCAT('v.', lookalike__quoted(@lookalike_name)), 'NULL'),
        @lookalike_cells = CONCAT('`', @lookalike_key, '_cells_', @lookalike_generation, '`'),
        @lookalike_codes = CONCAT('`', @lookalike_key, '_codes_', @lookalike_generation, '`');
END //

DROP FUNCTION IF EXISTS lookalike__quoted //

CREATE FUNCTION lookalike__quoted(name TEXT) RETURNS TEXT
    DETERMINISTIC NO SQL SQL SECURITY INVOKER
    COMMENT 'lookalike: a quoted identifier'
RETURN CONCAT('`', REPLACE(name, '`', '``'), '`') //

DROP PROCEDURE IF EXISTS lookalike__run //

CREATE PROCEDURE lookalike__run(IN statement LONGTEXT)
    MODIFIES SQL DATA SQL SECURITY INVOKER
    COMMENT 'lookalike: run a statement'
BEGIN
    SET @lookalike_statement = statement;
    PREPARE lookalike_statement FROM @lookalike_statement;
    EXECUTE lookalike_statement;
    DEALLOCATE PREPARE lookalike_statement;
END //

DROP PROCEDURE IF EXISTS lookalike__read //

-- Puts the numbers of a vector into the temporary table lookalike__query. Text begins with [ and
-- ends with ]. The bytes of an embedding do not: as the last byte of a number, ] makes it 5e17 or
-- more.
CREATE PROCEDURE lookalike__read(IN vector LONGBLOB)
    MODIFIES SQL DATA SQL SECURITY INVOKER
    COMMENT 'lookalike: read a query'
BEGIN
    DECLARE message VARCHAR(512);
    DECLARE is_text BOOLEAN DEFAULT vector LIKE '[%]';
    DECLARE EXIT HANDLER FOR 3140, 3141, 3853, 3903, 3904, 3906, 6136, 6137, 6138, 6139, 6144
    BEGIN
        SET message = IF(is_text,
            CONCAT('lookalike: this is not a vector of finite numbers: ', LEFT(vector, 60)),
            'lookalike: the vector has numbers that are not finite');
        SIGNAL SQLSTATE '22023' SET MESSAGE_TEXT = message;
    END;
    IF vector IS NULL THEN
        SIGNAL SQLSTATE '22004' SET MESSAGE_TEXT = 'lookalike: the vector is NULL';
    END IF;
    IF is_text THEN
        SET vector = STRING_TO_VECTOR(CONVERT(vector USING utf8mb4));
    END IF;
    IF LENGTH(vector) <> 4 * @lookalike_dim THEN
        SET message = CONCAT('lookalike: the vector has ', LENGTH(vector) / 4,
                             ' numbers, and the index ', @lookalike_dim);
        SIGNAL SQLSTATE '22023' SET MESSAGE_TEXT = message;
    END IF;
    DROP TEMPORARY TABLE IF EXISTS lookalike__query;
    CREATE TEMPORARY TABLE lookalike__query (
        i INT UNSIGNED PRIMARY KEY,
        x DOUBLE NOT NULL,
        r INT UNSIGNED NOT NULL,
        KEY in_rows USING BTREE (r)
    ) ENGINE = MEMORY;
    INSERT INTO lookalike__query (i, x, r)
        SELECT n, x, n - 1 DIV {{width}}
        FROM JSON_TABLE(VECTOR_TO_STRING(vector),
                        '$[*]' COLUMNS (n FOR ORDINALITY, x DOUBLE PATH '$')) AS numbers;
    SELECT SQRT(SUM(x * x)) INTO @lookalike_norm FROM lookalike__query;
    IF @lookalike_norm = 0 AND @lookalike_metric = 'cosine' THEN
        SIGNAL SQLSTATE '22023'
            SET MESSAGE_TEXT = 'lookalike: a vector of zeros has no cosine';
    END IF;
END //

DROP PROCEDURE IF EXISTS lookalike__rotate //

-- Rotates the query as lookalike.index.rotation does, and rounds it to bit planes @lookalike_p0 and
-- on: a number is about @lookalike_step * (level - {{middle}}).
CREATE PROCEDURE lookalike__rotate()
    READS SQL DATA SQL SECURITY INVOKER
    COMMENT 'lookalike: rotate and round the query'
BEGIN
    DECLARE n_rows INT DEFAULT CEIL(@lookalike_dim / {{width}});
    DECLARE is_power BOOLEAN DEFAULT BIT_COUNT(n_rows) = 1;
    DECLARE digits INT DEFAULT @@SESSION.group_concat_max_len;
    DECLARE places LONGTEXT DEFAULT CONCAT('[0', REPEAT(',0', n_rows - 1), ']');
    DECLARE signs LONGBLOB;
    SET SESSION group_concat_max_len = 1048576;
    SELECT UNHEX(GROUP_CONCAT(LEFT(SHA2(CONCAT(@lookalike_seed, ':', n - 1), 256), 8)
                              ORDER BY n SEPARATOR ''))
        INTO signs FROM JSON_TABLE(places, '$[*]' COLUMNS (n FOR ORDINALITY)) AS numbers;
    WITH matrix AS (
        SELECT r, {{pivoted}}
        FROM (
            SELECT r, i - 1 & {{last_column}} AS j,
                   IF(ORD(SUBSTR(signs, (i - 1 >> 3) + 1, 1)) >> (7 - (i - 1 & 7)) & 1, -x, x) AS x
            FROM lookalike__query FORCE INDEX (in_rows)
        ) AS signed GROUP BY r
    ), mixed AS (
        SELECT r, {{mixed}} FROM matrix LIMIT 1048576
    ), turned AS (
        SELECT line.n, sums.*
        FROM JSON_TABLE(places, '$[*]' COLUMNS (n FOR ORDINALITY)) AS line
        JOIN LATERAL (
            SELECT {{turned}}
            FROM (
                SELECT IF(is_power, 1e0 - 2e0 * (BIT_COUNT(line.n - 1 & r) & 1),
                          COS(2e0 * PI() * ((line.n - 1) * r MOD n_rows) / n_rows)
                          + SIN(2e0 * PI() * ((line.n - 1) * r MOD n_rows) / n_rows)) AS a,
                       mixed.*
                FROM mixed LIMIT 1048576
            ) AS terms
        ) AS sums
    ), sized AS (
        SELECT *, GREATEST(MAX({{largest}}) OVER () / {{middle}}, 1e-300) AS step FROM turned
    ), rounded AS (
        SELECT n, step, {{levels}} FROM sized
    )
    SELECT MAX(step) / SQRT({{width}} * n_rows), {{planes}}
        INTO @lookalike_step, {{plane_variables}}
        FROM rounded;
    SET SESSION group_concat_max_len = digits;
END //

DROP PROCEDURE IF EXISTS lookalike__shortlist //

-- Collects the ids of the best estimates in the nearest cells, and of the rows without codes.
CREATE PROCEDURE lookalike__shortlist(
    IN n_probes INT UNSIGNED, IN gap DOUBLE, IN wanted INT UNSIGNED, IN n_rows INT UNSIGNED)
    MODIFIES SQL DATA SQL SECURITY INVOKER
    COMMENT 'lookalike: the rows to compare exactly'
BEGIN
    DECLARE width INT DEFAULT {{width}} * CEIL(@lookalike_dim / {{width}}) DIV 8;
    -- The query is rounded as it was given, and compared as it is prepared.
    DECLARE step DOUBLE DEFAULT @lookalike_step
        / IF(@lookalike_metric = 'euclidean', @lookalike_unit, @lookalike_norm);
    DECLARE slope VARCHAR(100) DEFAULT IF(@lookalike_metric = 'dot',
        'IF(half_square > 0, base / (2e0 * half_square), 0e0)', '1e0');
    DECLARE score VARCHAR(100) DEFAULT IF(@lookalike_metric = 'dot',
        CONCAT('base + ', {{spreads}} / SQRT(@lookalike_dim), ' * spread'), 'base - half_square');
    DECLARE half VARCHAR(40) DEFAULT IF(@lookalike_metric = 'dot', '0e0', 'half_square');
    DECLARE joined LONGTEXT DEFAULT IF(@lookalike_condition = '', '', CONCAT(
        'JOIN ', @lookalike_rows, ' AS v ON ', @lookalike_id, ' = c.id', @lookalike_condition));
    SET @lookalike_text = '
INSERT IGNORE INTO lookalike__found (id, is_coded)
SELECT id, 1 FROM (
    SELECT STRAIGHT_JOIN c.id
    FROM (
        SELECT cell, base, «slope» AS slope
        FROM (
            SELECT scored.*, MAX(score) OVER () AS best, ROW_NUMBER() OVER (ORDER BY score DESC) AS n
            FROM (
                SELECT products.*, «score» AS score
                FROM (
                    SELECT cell, half_square, spread, «step» * step * (
                        {{fine}}
                        - {{middle}} * level_sum - 127.5 * «level_sum» + {{middle}} * 127.5 * 8 * «w»
                    ) AS base
                    FROM (
                        SELECT * FROM «cells»
                        ORDER BY «step» * scale * ({{middle}} * 8 * «w» - ({{near}})) - «half» DESC
                        LIMIT «near»
                    ) AS near
                ) AS products ORDER BY score DESC LIMIT «limit»
            ) AS scored
        ) AS ranked WHERE score >= best - «gap» OR n <= «wanted»
    ) AS probes
    JOIN «codes» AS c ON c.cell = probes.cell
    «joined»
    ORDER BY probes.base + probes.slope * (c.bias - c.shift)
             + «step» * c.scale * ({{middle}} * 8 * «w» - ({{differences}})) DESC
    LIMIT «rows»
) AS shortlist';
    SET @lookalike_text = REPLACE(@lookalike_text, '«near»', CAST(4 * n_probes + 16 AS CHAR)),
        @lookalike_text = REPLACE(@lookalike_text, '«limit»', CAST(n_probes AS CHAR)),
        @lookalike_text = REPLACE(@lookalike_text, '«wanted»', CAST(wanted AS CHAR)),
        @lookalike_text = REPLACE(@lookalike_text, '«rows»', CAST(n_rows AS CHAR)),
        @lookalike_text = REPLACE(@lookalike_text, '«gap»', CONCAT(gap, 'e0')),
        @lookalike_text = REPLACE(@lookalike_text, '«step»', lookalike__double(step)),
        @lookalike_text = REPLACE(@lookalike_text, '«level_sum»', {{level_sum}}),
        @lookalike_text = REPLACE(@lookalike_text, '«w»', CAST(width AS CHAR)),
        @lookalike_text = REPLACE(@lookalike_text, '«half»', half),
        @lookalike_text = REPLACE(@lookalike_text, '«slope»', slope),
        @lookalike_text = REPLACE(@lookalike_text, '«score»', score),
        @lookalike_text = REPLACE(@lookalike_text, '«cells»', @lookalike_cells),
        @lookalike_text = REPLACE(@lookalike_text, '«codes»', @lookalike_codes),
        {{plane_literals}},
        @lookalike_text = REPLACE(@lookalike_text, '«joined»', joined);
    CALL lookalike__run(@lookalike_text);
    CALL lookalike__run(CONCAT(
        'INSERT IGNORE INTO lookalike__found (id, is_coded) SELECT ', @lookalike_id, ', 0 FROM ',
        @lookalike_rows, ' AS v WHERE ', @lookalike_id, ' > ', COALESCE(@lookalike_through, 0),
        ' AND ', @lookalike_vector, ' IS NOT NULL', @lookalike_condition));
    IF @lookalike_kept = 'triggers' THEN
        CALL lookalike__run(CONCAT(
            'INSERT IGNORE INTO lookalike__found (id, is_coded) SELECT v.id, 0 FROM `',
            @lookalike_key, '_changes` AS v'));
    END IF;
END //

DROP FUNCTION IF EXISTS lookalike__double //

CREATE FUNCTION lookalike__double(x DOUBLE) RETURNS VARCHAR(40)
    DETERMINISTIC NO SQL SQL SECURITY INVOKER
    COMMENT 'lookalike: a number as a DOUBLE literal'
RETURN IF(LOCATE('e', x), CAST(x AS CHAR), CONCAT(x, 'e0')) //
