resource "aws_cloudwatch_log_group" "listener" {
  name              = "/aws/lambda/${var.name}-listener"
  retention_in_days = 30
}

resource "aws_iam_role" "listener" {
  name = "${var.name}-listener"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "lambda.amazonaws.com" }
      Action    = "sts:AssumeRole"
    }]
  })
}

resource "aws_iam_role_policy" "listener" {
  name = "listener"
  role = aws_iam_role.listener.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Effect   = "Allow"
        Action   = ["dynamodb:BatchWriteItem"]
        Resource = [aws_dynamodb_table.events.arn, aws_dynamodb_table.faults.arn]
      },
      {
        Effect   = "Allow"
        Action   = ["kinesis:DescribeStream", "kinesis:DescribeStreamSummary", "kinesis:GetRecords", "kinesis:GetShardIterator", "kinesis:ListShards"]
        Resource = [aws_kinesis_stream.stream.arn]
      },
      {
        Effect   = "Allow"
        Action   = ["sqs:SendMessage"]
        Resource = [aws_sqs_queue.failures.arn]
      },
      {
        Effect   = "Allow"
        Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
        Resource = ["${aws_cloudwatch_log_group.listener.arn}:*"]
      },
    ]
  })
}

resource "aws_lambda_function" "listener" {
  function_name    = "${var.name}-listener"
  role             = aws_iam_role.listener.arn
  runtime          = "provided.al2023"
  handler          = "bootstrap"
  architectures    = ["arm64"]
  memory_size      = 256 # a payload, and an event of 16 MiB that was compressed in it: see package lambdahandler
  timeout          = 60
  filename         = var.listener_zip
  source_code_hash = filebase64sha256(var.listener_zip)
  depends_on       = [aws_cloudwatch_log_group.listener, aws_iam_role_policy.listener]

  environment {
    variables = {
      TABLE_NAME        = aws_dynamodb_table.events.name
      FAULTS_TABLE_NAME = aws_dynamodb_table.faults.name
      EVENT_TYPES       = var.event_types
      RETENTION         = var.retention
      GOMEMLIMIT        = "220MiB" # rather collect more often than be ended
    }
  }
}

resource "aws_lambda_event_source_mapping" "listener" {
  function_name                      = aws_lambda_function.listener.arn
  event_source_arn                   = aws_kinesis_stream.stream.arn
  starting_position                  = "TRIM_HORIZON"
  batch_size                         = 500
  maximum_batching_window_in_seconds = 1
  function_response_types            = ["ReportBatchItemFailures"]
  bisect_batch_on_function_error     = true
  maximum_retry_attempts             = 100
  maximum_record_age_in_seconds      = var.maximum_age

  destination_config {
    on_failure {
      destination_arn = aws_sqs_queue.failures.arn
    }
  }
}
