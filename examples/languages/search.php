<?php // Images like a stored one: php search.php cat.jpg [products]
['MYSQL_HOST' => $host, 'MYSQL_PORT' => $port, 'MYSQL_DATABASE' => $database] = getenv();
$db = new PDO("mysql:host=$host;port=$port;dbname=$database;charset=utf8mb4",
              getenv('MYSQL_USER'), getenv('MYSQL_PASSWORD'));

// A vector is read as bytes: PDO does not know the type VECTOR.
$stored = $db->prepare('SELECT id, CAST(embedding AS BINARY) FROM image_embeddings WHERE image_name = ?');
$stored->execute([$argv[1]]);
[$id, $vector] = $stored->fetch(PDO::FETCH_NUM) ?: exit("There is no image {$argv[1]}.\n");

$similar = $db->prepare('CALL lookalike_similar(?, ?, ?)');  // by its id
$similar->execute(['image_embeddings', $id, 5]);
foreach ($similar->fetchAll() as $row) printf("%s\t%s\t%.6f\n", $row['id'], $row['name'], $row['similarity']);
$similar->closeCursor();

$search = $db->prepare('CALL lookalike_search(?, ?, ?)');  // by any vector: bytes, or '[0.1, ...]'
$search->execute([$argv[2] ?? 'image_embeddings', $vector, 5]);
foreach ($search->fetchAll() as $row) printf("%s\t%s\t%.6f\n", $row['id'], $row['name'], $row['similarity']);
