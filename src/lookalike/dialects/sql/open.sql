-- Finding an index by its name, and reading a query: parts of lookalike's procedures.

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
        @lookalike_id = 'id', @lookalike_shown_id = 'id',
        @lookalike_name = 'image_name', @lookalike_vector = 'embedding',
        @lookalike_id_type = NULL, @lookalike_vector_type = NULL,
        @lookalike_schema = DATABASE(), @lookalike_table = index_name;
    -- A view numbers the rows of a table whose key is no integer.
    SELECT CONCAT('lookalike_', number), COALESCE(IF(is_mapped, NULL, schema_name), DATABASE()),
           IF(is_mapped, CONCAT('lookalike_', number, '_rows'), table_name),
           IF(is_mapped, 'lookalike_id', id_column), id_column, name_column,
           vector_column, metric, kept
        INTO @lookalike_key, @lookalike_schema, @lookalike_table, @lookalike_id,
             @lookalike_shown_id, @lookalike_name, @lookalike_vector, @lookalike_metric,
             @lookalike_kept
        FROM lookalike_tables WHERE name = index_name;
    IF @lookalike_key IS NULL THEN
        SET @lookalike_key = index_name;
        SELECT metric INTO @lookalike_metric FROM lookalike_collections WHERE name = index_name;
    END IF;
    SELECT MAX(IF(column_name = @lookalike_id, column_type, NULL)),
           MAX(IF(column_name = @lookalike_shown_id, data_type, NULL)),
           MAX(IF(column_name = @lookalike_vector, column_type, NULL))
        INTO @lookalike_id_type, @lookalike_shown_type, @lookalike_vector_type
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
    CALL lookalike__find_native();
    SET @lookalike_rows = CONCAT(lookalike__quoted(@lookalike_schema), '.',
                                 lookalike__quoted(@lookalike_table)),
        @lookalike_id = CONCAT('v.', lookalike__quoted(@lookalike_id)),
        @lookalike_shown_id = CONCAT('v.', lookalike__quoted(@lookalike_shown_id)),
        @lookalike_vector = CONCAT('v.', lookalike__quoted(@lookalike_vector)),
        @lookalike_name = COALESCE(CONCAT('v.', lookalike__quoted(@lookalike_name)), 'NULL'),
        @lookalike_cells = lookalike__quoted(CONCAT(@lookalike_key, '_cells_', @lookalike_generation)),
        @lookalike_codes = lookalike__quoted(CONCAT(@lookalike_key, '_codes_', @lookalike_generation));
END //

DROP PROCEDURE IF EXISTS lookalike__find_native //

CREATE PROCEDURE lookalike__find_native()
    READS SQL DATA SQL SECURITY INVOKER
    COMMENT 'lookalike: whether the server has the native functions'
BEGIN
    DECLARE CONTINUE HANDLER FOR 1305, 1370 SET @lookalike_native = FALSE;
    SET @lookalike_native = TRUE;
    SET @lookalike_native = lookalike_native_estimate(0x00, 0x00) = 0;
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

-- Reads a vector into @lookalike_query. Text begins with [ and
-- ends with ]. The bytes of an embedding do not: as the last byte of a number, ] makes it 5e17 or
-- more.
CREATE PROCEDURE lookalike__read(IN vector LONGBLOB)
    MODIFIES SQL DATA SQL SECURITY INVOKER
    COMMENT 'lookalike: read a query'
BEGIN
    DECLARE message VARCHAR(512);
    DECLARE given LONGBLOB DEFAULT vector;
    DECLARE is_text BOOLEAN DEFAULT vector LIKE '[%]';
    DECLARE EXIT HANDLER FOR 3140, 3141, 3200, 3853, 3903, 3904, 3906, 6136, 6137, 6138, 6139, 6144
    BEGIN
        SET message = IF(is_text,
            CONCAT('lookalike: this is not a vector of finite numbers: ',
                   LEFT(CONVERT(given USING utf8mb4), 60)),
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
    SET @lookalike_query = vector;
    IF @lookalike_native THEN
        SET @lookalike_norm = SQRT(lookalike_native_distance_double(vector, vector, 'DOT'));
    ELSE
        CALL lookalike__read_numbers();
    END IF;
    IF @lookalike_norm IS NULL THEN
        SIGNAL SQLSTATE '22023'
            SET MESSAGE_TEXT = 'lookalike: the vector has numbers that are not finite';
    END IF;
    IF @lookalike_norm = 0 AND @lookalike_metric = 'cosine' THEN
        SIGNAL SQLSTATE '22023'
            SET MESSAGE_TEXT = 'lookalike: a vector of zeros has no cosine';
    END IF;
END //

DROP PROCEDURE IF EXISTS lookalike__read_numbers //

-- Puts the numbers of the query into the temporary tables lookalike__query, six digits of each, and
-- lookalike__pairs, exactly and in the order of lookalike__line.
CREATE PROCEDURE lookalike__read_numbers()
    MODIFIES SQL DATA SQL SECURITY INVOKER
    COMMENT 'lookalike: read the numbers of a query'
BEGIN
    DROP TEMPORARY TABLE IF EXISTS lookalike__query, lookalike__pairs;
    CREATE TEMPORARY TABLE lookalike__query (
        i INT UNSIGNED PRIMARY KEY,
        x DOUBLE NOT NULL,
        r INT UNSIGNED NOT NULL,
        KEY in_rows USING BTREE (r)
    ) ENGINE = MEMORY;
    INSERT INTO lookalike__query (i, x, r)
        SELECT n, x, (n - 1) DIV {{width}}
        FROM JSON_TABLE(VECTOR_TO_STRING(@lookalike_query),
                        '$[*]' COLUMNS (n FOR ORDINALITY, x DOUBLE PATH '$')) AS numbers;
    CREATE TEMPORARY TABLE lookalike__pairs (
        n INT UNSIGNED PRIMARY KEY, a DOUBLE NOT NULL, b DOUBLE NOT NULL
    ) ENGINE = MEMORY;
    CALL lookalike__run(CONCAT(
        'INSERT INTO lookalike__pairs SELECT n, a * {{unit}}, b * {{unit}} FROM ',
        lookalike__line('@lookalike_query')));
    SELECT SQRT(SUM(a * a + b * b)) INTO @lookalike_norm FROM lookalike__pairs;
END //

DROP FUNCTION IF EXISTS lookalike__line //

-- Returns the SQL of a table `line` with the numbers of a vector, two a row (n, a, b), times 2^-896;
-- how, tells lookalike.dialects.tables.ranking.
CREATE FUNCTION lookalike__line(vector TEXT) RETURNS TEXT
    NOT DETERMINISTIC NO SQL SQL SECURITY INVOKER
    COMMENT 'lookalike: the exact numbers of a vector'
BEGIN
    DECLARE points INT DEFAULT 2 * CEIL(@lookalike_dim / 4);
    DECLARE bytes TEXT DEFAULT CONCAT('REVERSE(CAST(', vector, ' AS BINARY))');
    IF points * 2 > @lookalike_dim THEN
        SET bytes = CONCAT('CONCAT(', bytes, ', 0x', REPEAT('00', 8 * points - 4 * @lookalike_dim), ')');
    END IF;
    RETURN CONCAT(
        'JSON_TABLE(ST_AsGeoJSON(ST_GeomFromWKB(CONCAT(0x0000000002', LPAD(HEX(points), 8, '0'), ',
            (', bytes, ' & REPEAT(0x8000000000000000, ', points, '))
                | (', bytes, ' & REPEAT(0x7FFFFFFF00000000, ', points, ')) >> 3,
            (', bytes, ' & REPEAT(0x0000000080000000, ', points, ')) << 32
                | (', bytes, ' & REPEAT(0x000000007FFFFFFF, ', points, ')) << 29))),
        ''$.coordinates[*]'' COLUMNS (n FOR ORDINALITY, a DOUBLE PATH ''$[0]'', b DOUBLE PATH ''$[1]'')
    ) AS line');
END //
