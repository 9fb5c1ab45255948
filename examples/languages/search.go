package main // Images like a stored one: go run search.go cat.jpg [products]

import ("database/sql"; "fmt"; "log"; "os"; _ "github.com/go-sql-driver/mysql")

func main() {
	db, _ := sql.Open("mysql", os.Getenv("MYSQL_DSN"))
	var id int64; var vector []byte; var found, name string; var similarity float64
	// A vector is read as bytes: the driver does not know the type VECTOR.
	err := db.QueryRow("SELECT id, CAST(embedding AS BINARY) FROM image_embeddings WHERE image_name = ?",
		os.Args[1]).Scan(&id, &vector)
	if err != nil { log.Fatal("There is no such image: ", err) }
	index := append(os.Args[2:], "image_embeddings")[0]
	similar, err := db.Query("CALL lookalike_similar('image_embeddings', ?, 5)", id) // by its id
	if err != nil { log.Fatal(err) }
	search, err := db.Query("CALL lookalike_search(?, ?, 5)", index, vector) // by any vector
	if err != nil { log.Fatal(err) }
	for _, rows := range []*sql.Rows{similar, search} { for rows.Next() {
		rows.Scan(&found, &name, &similarity)
		fmt.Printf("%s\t%s\t%.6f\n", found, name, similarity)
	} } }
