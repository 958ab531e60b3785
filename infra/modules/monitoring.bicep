// Logs: a workspace, and Application Insights on it, written to by identity only.
param location string
param tags object
param token string

@description('The function app\'s identity.')
param principalId string

@description('Days that logs are kept.')
param retentionDays int = 30

@description('Most gigabytes of logs a day; beyond it the workspace takes no more until the next day.')
param dailyQuotaGb int = 5

var metricsPublisher = '3913510d-42f4-4e42-8a64-420c390055eb' // Monitoring Metrics Publisher

resource workspace 'Microsoft.OperationalInsights/workspaces@2023-09-01' = {
  name: 'log-${token}'
  location: location
  tags: tags
  properties: {
    sku: {
      name: 'PerGB2018'
    }
    retentionInDays: retentionDays
    workspaceCapping: {
      dailyQuotaGb: dailyQuotaGb
    }
    features: {
      disableLocalAuth: true
    }
  }
}

resource insights 'Microsoft.Insights/components@2020-02-02' = {
  name: 'appi-${token}'
  location: location
  tags: tags
  kind: 'web'
  properties: {
    Application_Type: 'web'
    WorkspaceResourceId: workspace.id
    DisableLocalAuth: true
  }
}

resource grant 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(insights.id, principalId, metricsPublisher)
  scope: insights
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', metricsPublisher)
    description: 'Telemetry of the function app, by identity.'
  }
}

output workspaceId string = workspace.id
// An address and an id, no secret: local authentication is off, a sender needs the role above.
output connectionString string = insights.properties.ConnectionString
