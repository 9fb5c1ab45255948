-- `where` of lookalike's procedures: {"price": {"<": 50}, "brand": "acme", "colour": ["red", "blue"]}.
--
-- Names are checked against the table's columns, or are names of attributes. Operators are of a
-- closed list. Values stay in the JSON array @lookalike_values; statements hold their numbers only.

DROP PROCEDURE IF EXISTS lookalike__filter //

CREATE PROCEDURE lookalike__filter(IN conditions JSON)
    READS SQL DATA SQL SECURITY INVOKER
    COMMENT 'lookalike: read the filter of a search'
BEGIN
    DECLARE column_names, operators, value JSON;
    DECLARE n, m INT DEFAULT 0;
    DECLARE column_name, operator TEXT;
    IF JSON_TYPE(conditions) <> 'OBJECT' THEN
        SIGNAL SQLSTATE '22023' SET MESSAGE_TEXT = 'lookalike: where is no JSON object';
    END IF;
    SET column_names = JSON_KEYS(conditions);
    WHILE n < JSON_LENGTH(column_names) DO
        SET column_name = JSON_UNQUOTE(JSON_EXTRACT(column_names, CONCAT('$[', n, ']')));
        SET value = JSON_EXTRACT(conditions, CONCAT('$.', JSON_QUOTE(column_name)));
        IF JSON_TYPE(value) = 'OBJECT' THEN
            SET operators = JSON_KEYS(value), m = 0;
            WHILE m < JSON_LENGTH(operators) DO
                SET operator = JSON_UNQUOTE(JSON_EXTRACT(operators, CONCAT('$[', m, ']')));
                CALL lookalike__compare(
                    column_name, operator, JSON_EXTRACT(value, CONCAT('$.', JSON_QUOTE(operator))));
                SET m = m + 1;
            END WHILE;
        ELSE
            CALL lookalike__compare(column_name, IF(JSON_TYPE(value) = 'ARRAY', 'in', '='), value);
        END IF;
        SET n = n + 1;
    END WHILE;
END //

DROP PROCEDURE IF EXISTS lookalike__compare //

-- Appends a comparison to @lookalike_condition.
CREATE PROCEDURE lookalike__compare(IN name TEXT, IN operator TEXT, IN value JSON)
    READS SQL DATA SQL SECURITY INVOKER
    COMMENT 'lookalike: one comparison of a filter'
BEGIN
    DECLARE message VARCHAR(512);
    DECLARE listed, compared LONGTEXT DEFAULT '';
    DECLARE n INT DEFAULT 0;
    CALL lookalike__column(name, JSON_TYPE(IF(JSON_TYPE(value) = 'ARRAY', JSON_EXTRACT(value, '$[0]'), value)),
                           @lookalike_column);
    IF operator NOT IN ('=', '!=', '<', '<=', '>', '>=', 'in') OR
       (operator = 'in') <> (JSON_TYPE(value) = 'ARRAY') THEN
        SET message = CONCAT('lookalike: ', LEFT(name, 60), ' cannot be compared by ',
                             LEFT(operator, 20), '; use = != < <= > >= with a value, or a list');
        SIGNAL SQLSTATE '22023' SET MESSAGE_TEXT = message;
    END IF;
    IF operator = 'in' THEN
        WHILE n < JSON_LENGTH(value) DO
            SET compared = lookalike__value(JSON_EXTRACT(value, CONCAT('$[', n, ']')));
            SET listed = CONCAT(listed, IF(n, ', ', ''), compared), n = n + 1;
        END WHILE;
        SET compared = IF(listed = '', 'FALSE', CONCAT(@lookalike_column, ' IN (', listed, ')'));
    ELSEIF JSON_TYPE(value) = 'NULL' AND operator IN ('=', '!=') THEN
        SET compared = CONCAT(@lookalike_column, IF(operator = '=', ' IS NULL', ' IS NOT NULL'));
    ELSE
        SET compared = CONCAT(@lookalike_column, ' ', REPLACE(operator, '!=', '<>'), ' ',
                              lookalike__value(value));
    END IF;
    SET @lookalike_condition = CONCAT(@lookalike_condition, ' AND ', compared);
END //

DROP FUNCTION IF EXISTS lookalike__value //

-- Keeps a value in @lookalike_values, and returns the SQL that reads it.
CREATE FUNCTION lookalike__value(value JSON) RETURNS TEXT
    NOT DETERMINISTIC NO SQL SQL SECURITY INVOKER
    COMMENT 'lookalike: the SQL of a value of a filter'
BEGIN
    DECLARE message VARCHAR(512);
    DECLARE place TEXT DEFAULT CONCAT('JSON_EXTRACT(@lookalike_values, ''$[',
                                      JSON_LENGTH(@lookalike_values), ']'')');
    SET @lookalike_values = JSON_ARRAY_APPEND(@lookalike_values, '$', value);
    CASE JSON_TYPE(value)
        WHEN 'STRING' THEN RETURN CONCAT('JSON_UNQUOTE(', place, ')');
        WHEN 'INTEGER' THEN RETURN CONCAT('CAST(', place, ' AS SIGNED)');
        WHEN 'UNSIGNED INTEGER' THEN RETURN CONCAT('CAST(', place, ' AS UNSIGNED)');
        WHEN 'DOUBLE' THEN RETURN CONCAT('CAST(', place, ' AS DOUBLE)');
        WHEN 'DECIMAL' THEN RETURN CONCAT('CAST(', place, ' AS DECIMAL(65, 30))');
        WHEN 'BOOLEAN' THEN RETURN IF(value = CAST('true' AS JSON), '1', '0');
        ELSE
            SET message = CONCAT('lookalike: a filter cannot compare with ',
                                 LEFT(CAST(value AS CHAR), 60));
            SIGNAL SQLSTATE '22023' SET MESSAGE_TEXT = message;
    END CASE;
END //

DROP PROCEDURE IF EXISTS lookalike__column //

-- Finds the SQL of a column, or of an attribute, whose values have a type of JSON.
CREATE PROCEDURE lookalike__column(IN name TEXT, IN type VARCHAR(40), OUT found TEXT)
    READS SQL DATA SQL SECURITY INVOKER
    COMMENT 'lookalike: the column of a filter'
BEGIN
    DECLARE message VARCHAR(512);
    DECLARE exact_name TEXT;
    DECLARE CONTINUE HANDLER FOR NOT FOUND BEGIN END;
    DECLARE CONTINUE HANDLER FOR 1146 BEGIN END;
    SELECT column_name INTO exact_name FROM information_schema.columns
        WHERE table_schema = @lookalike_schema AND table_name = @lookalike_table
              AND column_name = name LIMIT 1;
    IF exact_name IS NOT NULL THEN
        SET found = CONCAT('v.', lookalike__quoted(exact_name));
    ELSEIF EXISTS (SELECT 1 FROM lookalike_attributes AS a
                   WHERE a.collection = @lookalike_key AND a.name = name)
           AND REGEXP_LIKE(name, '^[A-Za-z_][A-Za-z0-9_]*$') THEN
        SET found = CONCAT('JSON_EXTRACT(v.attributes, ''$.', name, ''')');
        SET found = IF(type = 'STRING', CONCAT('JSON_UNQUOTE(', found, ')'),
                       CONCAT('CAST(', found, ' AS DOUBLE)'));
    ELSE
        SET message = CONCAT('lookalike: there is no column ', LEFT(name, 64), ' in ',
                             LEFT(@lookalike_table, 64));
        SIGNAL SQLSTATE '42S22' SET MESSAGE_TEXT = message;
    END IF;
END //
