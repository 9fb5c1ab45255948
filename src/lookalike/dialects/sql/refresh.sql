-- CALL lookalike_refresh(name): encodes rows that other programs have added, inside the server.
--
-- Searches find such rows without it, but compare each of them exactly. It commits.

DROP PROCEDURE IF EXISTS lookalike_refresh //

CREATE PROCEDURE lookalike_refresh(IN index_name TEXT)
    MODIFIES SQL DATA SQL SECURITY INVOKER
    COMMENT 'lookalike: encode new rows'
BEGIN
    DECLARE is_last BOOLEAN DEFAULT FALSE;
    DECLARE encoded BIGINT UNSIGNED DEFAULT 0;
    DECLARE digits BIGINT UNSIGNED DEFAULT @@SESSION.group_concat_max_len;
    DECLARE EXIT HANDLER FOR SQLEXCEPTION
    BEGIN
        ROLLBACK;
        SET SESSION group_concat_max_len = digits;
        RESIGNAL;
    END;
    SET SESSION group_concat_max_len = 1048576;
    CALL lookalike__open(index_name);
    SET @lookalike_native = FALSE; -- rows are few, and `lookalike__query` holds their numbers
    IF @lookalike_generation = 0 OR @lookalike_rotation <> 'factored' THEN
        SIGNAL SQLSTATE '55000' SET MESSAGE_TEXT =
            'lookalike: no index that the server can refresh; run lookalike index rebuild';
    END IF;
    REPEAT
        CALL lookalike__refresh_batch(index_name, is_last);
        SET encoded = encoded + @lookalike_encoded;
    UNTIL is_last END REPEAT;
    DROP TEMPORARY TABLE IF EXISTS lookalike__new, lookalike__logged, lookalike__query,
        lookalike__pairs;
    SET SESSION group_concat_max_len = digits;
    SELECT encoded;
END //

DROP PROCEDURE IF EXISTS lookalike__refresh_batch //

-- Encodes some rows in one transaction.
CREATE PROCEDURE lookalike__refresh_batch(IN index_name TEXT, OUT is_last BOOLEAN)
    MODIFIES SQL DATA SQL SECURITY INVOKER
    COMMENT 'lookalike: encode some new rows'
BEGIN
    DECLARE generation, building INT UNSIGNED;
    DECLARE n_rows, n_logged INT DEFAULT 0;
    COMMIT;
    -- Where triggers keep a log, each statement reads what is committed by then: a snapshot taken
    -- before the log is read could be older than what the log tells, and locks would make writers
    -- wait. Without a log, the locks of the rows above the tail keep writers from below it.
    IF @lookalike_kept = 'triggers' THEN
        SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
    END IF;
    START TRANSACTION;
    -- Lock first, so that later reads are not older than the rows under the locks.
    SELECT i.generation, i.building INTO generation, building FROM lookalike_indexes AS i
        WHERE i.collection = @lookalike_key FOR SHARE;
    SELECT indexed_through INTO @lookalike_through FROM lookalike_index_tails
        WHERE collection = @lookalike_key FOR UPDATE;
    IF generation <> @lookalike_generation THEN
        CALL lookalike__open(index_name);
        SET @lookalike_native = FALSE;
    END IF;
    DROP TEMPORARY TABLE IF EXISTS lookalike__new;
    CALL lookalike__run(CONCAT('
CREATE TEMPORARY TABLE lookalike__new (
    id ', @lookalike_id_type, ' NOT NULL PRIMARY KEY
)'));
    CALL lookalike__run(CONCAT(
        'INSERT INTO lookalike__new (id) SELECT ', @lookalike_id, ' FROM ', @lookalike_rows,
        ' AS v WHERE ', lookalike__above_tail(), ' ORDER BY ', @lookalike_id, ' LIMIT 200',
        IF(@lookalike_kept = 'triggers', '', ' FOR SHARE')));
    SELECT COUNT(*), MAX(id) INTO n_rows, @lookalike_through FROM lookalike__new;
    IF @lookalike_kept = 'triggers' THEN
        CALL lookalike__read_log(n_logged);
        IF building IS NOT NULL THEN
            INSERT IGNORE INTO lookalike_index_changes (collection, id)
                SELECT @lookalike_key, id FROM lookalike__logged;
        END IF;
    END IF;
    SET is_last = n_rows < 200 AND n_logged < 200, @lookalike_encoded = 0,
        @lookalike_ids = JSON_ARRAY();
    SELECT MIN(id) INTO @lookalike_row FROM lookalike__new;
    WHILE @lookalike_row IS NOT NULL DO
        SET @lookalike_stored = NULL;
        CALL lookalike__encode();
        SELECT MIN(id) INTO @lookalike_row FROM lookalike__new WHERE id > @lookalike_row;
    END WHILE;
    IF @lookalike_through IS NOT NULL THEN
        INSERT INTO lookalike_index_tails (collection, indexed_through)
            VALUES (@lookalike_key, @lookalike_through)
            ON DUPLICATE KEY UPDATE indexed_through = VALUES(indexed_through);
    END IF;
    IF n_logged > 0 THEN
        CALL lookalike__run(CONCAT('DELETE log FROM `', @lookalike_key, '_changes` AS log ',
                                   'JOIN lookalike__logged AS done ON done.seq = log.seq'));
    END IF;
    CALL lookalike__note_version();
    COMMIT;
END //

DROP PROCEDURE IF EXISTS lookalike__read_log //

-- Adds the ids of some logged changes to lookalike__new. Exactly the rows of the log that are read
-- are deleted later: others may become visible in between.
CREATE PROCEDURE lookalike__read_log(OUT n_logged INT)
    MODIFIES SQL DATA SQL SECURITY INVOKER
    COMMENT 'lookalike: read what triggers have logged'
BEGIN
    DROP TEMPORARY TABLE IF EXISTS lookalike__logged;
    CALL lookalike__run(CONCAT('
CREATE TEMPORARY TABLE lookalike__logged (PRIMARY KEY (seq))
SELECT seq, id FROM `', @lookalike_key, '_changes` ORDER BY seq LIMIT 200'));
    SELECT COUNT(*) INTO n_logged FROM lookalike__logged;
    INSERT IGNORE INTO lookalike__new (id) SELECT DISTINCT id FROM lookalike__logged;
END //

DROP PROCEDURE IF EXISTS lookalike__encode //

-- Replaces the code of row @lookalike_row, if its embedding can have one.
CREATE PROCEDURE lookalike__encode()
    MODIFIES SQL DATA SQL SECURITY INVOKER
    COMMENT 'lookalike: encode a row'
BEGIN
    DECLARE is_zero BOOLEAN DEFAULT FALSE;
    DECLARE length DOUBLE;
    CALL lookalike__run(CONCAT('DELETE FROM ', @lookalike_codes, ' WHERE id = @lookalike_row'));
    SET @lookalike_ids = JSON_ARRAY_APPEND(@lookalike_ids, '$', @lookalike_row);
    CALL lookalike__run(CONCAT(
        'SELECT CAST(', @lookalike_vector, ' AS BINARY) INTO @lookalike_stored FROM ',
        @lookalike_rows, ' AS v WHERE ', @lookalike_id, ' = @lookalike_row',
        IF(@lookalike_kept = 'triggers', '', ' FOR SHARE')));
    IF @lookalike_stored IS NOT NULL THEN
        BEGIN
            DECLARE CONTINUE HANDLER FOR SQLSTATE '22023' SET is_zero = TRUE;
            CALL lookalike__read(@lookalike_stored);
        END;
        IF NOT is_zero THEN
            SET length = IF(@lookalike_metric = 'cosine', @lookalike_norm,
                            GREATEST(@lookalike_unit, @lookalike_norm / {{max_length}}));
            CALL lookalike__rotate_in_sql(lookalike__places(), length);
            CALL lookalike__rotate_exactly(length);
            CALL lookalike__run(CONCAT(
                'SELECT c.cell, c.centroid INTO @lookalike_cell, @lookalike_centroid FROM (',
                lookalike__nearest_cells('-half_square', 1), ') AS best JOIN ',
                @lookalike_cells, ' AS c USING (cell)'));
            CALL lookalike__insert_code();
        END IF;
    END IF;
END //

DROP PROCEDURE IF EXISTS lookalike__rotate_exactly //

-- Puts the numbers of the rotated query into the JSON array @lookalike_rotated.
CREATE PROCEDURE lookalike__rotate_exactly(IN length DOUBLE)
    READS SQL DATA SQL SECURITY INVOKER
    COMMENT 'lookalike: rotate an embedding'
BEGIN
    DECLARE n_rows INT DEFAULT CEIL(@lookalike_dim / {{width}});
    DECLARE is_power BOOLEAN DEFAULT BIT_COUNT(n_rows) = 1;
    DECLARE places LONGTEXT DEFAULT lookalike__places();
    DECLARE signs LONGBLOB DEFAULT lookalike__signs(places);
    DECLARE size DOUBLE DEFAULT SQRT({{width}} * n_rows) * length;
{{rotation}}    )
    SELECT CONCAT('[', GROUP_CONCAT(CONCAT_WS(',', {{numbers}}) ORDER BY n), ']')
        INTO @lookalike_rotated FROM turned;
END //

DROP PROCEDURE IF EXISTS lookalike__insert_code //

-- Inserts the code of the rotated embedding in cell @lookalike_cell: see lookalike.index.codes.
CREATE PROCEDURE lookalike__insert_code()
    MODIFIES SQL DATA SQL SECURITY INVOKER
    COMMENT 'lookalike: insert a code'
BEGIN
    WITH numbers AS (
        SELECT n - 1 AS i, x, ORD(SUBSTR(@lookalike_centroid, 2 * n, 1)) << 8
               | ORD(SUBSTR(@lookalike_centroid, 2 * n - 1, 1)) AS half
        FROM JSON_TABLE(@lookalike_rotated,
                        '$[*]' COLUMNS (n FOR ORDINALITY, x DOUBLE PATH '$')) AS rotated
    ), decoded AS ( -- bfloat16: a sign, 8 bits of exponent, 7 of fraction
        SELECT i, x, IF(half >> 15, -1e0, 1e0) * IF(half & 32640,
                 (1e0 + (half & 127) / 128e0) * POW(2, (half >> 7 & 255) - 127e0),
                 (half & 127) * POW(2, -133e0)) AS c
        FROM numbers
    ), words AS (
        SELECT i DIV 32 AS word,
               BIT_OR(IF(x - c > 0, 1 << (31 - i MOD 32), 0)) AS bits,
               SUM((x - c) * (x - c)) AS rr, SUM(ABS(x - c)) AS size, SUM((x - c) * c) AS rc,
               SUM(IF(x - c > 0, c, -c)) AS sc, SUM(x * x) AS xx
        FROM decoded GROUP BY word
    )
    SELECT UNHEX(GROUP_CONCAT(LPAD(HEX(bits), 8, '0') ORDER BY word SEPARATOR '')),
           COALESCE(SUM(rr) / NULLIF(SUM(size), 0), 0e0),
           SUM(rc) - IF(@lookalike_metric = 'euclidean', SUM(xx) / 2, 0e0), SUM(sc)
        INTO @lookalike_code, @lookalike_scale, @lookalike_bias, @lookalike_signed FROM words;
    SET @lookalike_shift = @lookalike_scale * @lookalike_signed;
    CALL lookalike__run(CONCAT(
        'INSERT IGNORE INTO ', @lookalike_codes, ' (cell, id, code, scale, bias, shift) VALUES ',
        '(@lookalike_cell, @lookalike_row, @lookalike_code, @lookalike_scale, @lookalike_bias, ',
        '@lookalike_shift)'));
    SET @lookalike_encoded = @lookalike_encoded + 1;
END //

DROP PROCEDURE IF EXISTS lookalike__note_version //

-- Tells the copies in memory which codes this transaction has changed; it has to be its last step.
CREATE PROCEDURE lookalike__note_version()
    MODIFIES SQL DATA SQL SECURITY INVOKER
    COMMENT 'lookalike: note what a transaction has changed'
BEGIN
    DECLARE CONTINUE HANDLER FOR 1146 BEGIN END; -- no copy is fresh without these tables
    IF JSON_LENGTH(@lookalike_ids) > 0 THEN
        UPDATE lookalike_index_versions
            SET version = version + 1, token = CONV(HEX(RANDOM_BYTES(7)), 16, 10) + 1
            WHERE collection = @lookalike_key;
        INSERT INTO lookalike_index_log (collection, version, token, n_ids, ids)
            SELECT collection, version, token, JSON_LENGTH(@lookalike_ids), @lookalike_ids
            FROM lookalike_index_versions WHERE collection = @lookalike_key
            ON DUPLICATE KEY UPDATE token = VALUES(token), n_ids = VALUES(n_ids), ids = VALUES(ids);
    END IF;
END //
