module {{name}}

go 1.25

require mlintern v0.0.0

replace mlintern => ./sdk
