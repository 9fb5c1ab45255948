import mysql from 'mysql2/promise'; // Images like a stored one: node search.mjs cat.jpg

const db = await mysql.createConnection(process.env.MYSQL_URL);
// A vector is read as bytes, which a procedure takes as they are.
const [[image]] = await db.execute(
  'SELECT id, CAST(embedding AS BINARY) AS vector FROM image_embeddings WHERE image_name = ?',
  [process.argv[2]]);
if (!image) throw new Error(`There is no image ${process.argv[2]}`);

const [[similar]] = await db.execute( // by its id
  'CALL lookalike_similar(?, ?, ?)', ['image_embeddings', image.id, 5]);
const [[found]] = await db.execute( // by any vector: bytes, or '[0.1, ...]'
  'CALL lookalike_search(?, ?, ?)', ['image_embeddings', image.vector, 5]);
for (const { id, name, similarity } of [...similar, ...found]) {
  console.log(`${id}\t${name}\t${similarity.toFixed(6)}`);
}
await db.end();
