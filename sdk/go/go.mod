module mlintern

go 1.25
